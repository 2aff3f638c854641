"""SegmentationValidator: examines every image and mask once, and drops, warns of or refuses what is wrong with them."""
