"""ModelPusher: TFX's Pusher, which does not push the model that is served already."""
