"""What an MLflow server hears of runs and pushed models.

Everything that is to be told is first written to files beside the run, its outbox, and sent from there, so that a
server that is down, slow or particular costs a run no result and no more than a few seconds.

- `address` says which server, experiment and registered model it is.
- `story` makes of a run's record the items that are told, `items` what they are.
- `outbox` keeps the items, and which of them were sent.
- `server` sends an item; `registry` looks after registered models and their aliases; `errors` is what goes wrong.
- `courier` sends an outbox while a run goes on, `delivery` once; `local` and `pods` do so for the two kinds of runs.
- `rollouts` moves aliases when another version comes to be served.

mlflow is imported when something is to be sent.
"""
