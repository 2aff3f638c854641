"""TfdsExampleGen: ingests any TFDS data set that has an image and a segmentation mask."""
