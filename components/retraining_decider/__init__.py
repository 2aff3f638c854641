"""RetrainingDecider: whether there is a reason to train again, from evidence, before anything is paid."""
