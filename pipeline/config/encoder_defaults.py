"""The normalization that a network's encoder was trained with, as the default of `data.normalization`.

It stands above the presets, which know no encoder but their own, and below what the user says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainer_module.config import TrainerConfig
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
      Nothing for a network without encoder, and for settings that cannot be used, which is somebody else's to say.

    Example:
      >>> encoder_defaults({"trainer": {"model": "unet_lite0"}}).values
      {('data', 'normalization'): 'lite'}
    """
    trainer = settings.get("trainer")
    if not isinstance(trainer, Mapping):
        return EncoderDefaults()
    model = trainer.get("model", TrainerConfig.model_fields["model"].default)
    encoder = trainer.get("encoder") if model == UNET_ENCODER else MODEL_ENCODERS.get(str(model))
    if not isinstance(encoder, str) or encoder not in ENCODERS:
        return EncoderDefaults()
    values: dict[tuple[str, ...], Any] = {("data", "normalization"): ENCODERS[encoder].normalization}
    return EncoderDefaults(values, f"what the encoder {encoder} was trained with")
