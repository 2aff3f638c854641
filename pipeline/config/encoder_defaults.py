"""What a network's encoder, or that it has none, says of settings: above the presets and below the user.

A preset knows no encoder but its own: another one has its own normalization, and a network without one has no use for
what the preset says of encoders.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer_module.config import ENCODER_SETTINGS, IMAGE_SIZES, TrainerConfig
from trainer_module.encoder_catalogue import ENCODERS, MODEL_ENCODERS, UNET_ENCODER


@dataclass(frozen=True)
class EncoderDefaults:
    """What an encoder says instead of the defaults and presets."""

    values: Mapping[tuple[str, ...], Any] = field(default_factory=dict)
    """Path of a setting to its value."""

    source: str = ""
    """What to call the place that they come from."""


def encoder_defaults(settings: Mapping[str, Any]) -> EncoderDefaults:
    """Returns what the encoder of the network says.

    Args:
      settings: What defaults, preset and user say together, not yet checked.

    Returns:
      The normalization that the encoder was trained with; for a network without encoder, the defaults of what is set
      of encoders. Nothing for settings that cannot be used, which is somebody else's to say.

    Example:
      >>> encoder_defaults({"trainer": {"model": "unet_lite0"}}).values
      {('data', 'normalization'): 'lite'}
    """
    trainer = settings.get("trainer")
    if not isinstance(trainer, Mapping):
        return EncoderDefaults()
    model = trainer.get("model", TrainerConfig.model_fields["model"].default)
    encoder = trainer.get("encoder") if model == UNET_ENCODER else MODEL_ENCODERS.get(str(model))
    if model in IMAGE_SIZES and model not in (*MODEL_ENCODERS, UNET_ENCODER):
        fields = {name: TrainerConfig.model_fields[name] for name in ENCODER_SETTINGS if name in trainer}
        defaults: dict[tuple[str, ...], Any] = {("trainer", name): each.default for name, each in fields.items()}
        return EncoderDefaults(defaults, f"the network {model}, which has no encoder")
    if not isinstance(encoder, str) or encoder not in ENCODERS:
        return EncoderDefaults()
    values: dict[tuple[str, ...], Any] = {("data", "normalization"): ENCODERS[encoder].normalization}
    return EncoderDefaults(values, f"what the encoder {encoder} was trained with")
