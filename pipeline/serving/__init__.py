"""The local server of `petseg serve`: TensorFlow Serving's REST protocol, images in and masks out, and a page."""
