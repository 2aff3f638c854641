"""What an exported model says of itself (`assets.extra/petseg_model.json`), as everybody reads it who loads one."""

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError


class ModelCard(BaseModel):
    """What a model was trained for; `trainer_module.signatures` writes it, with the names of its weights."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    class_names: tuple[str, ...]
    mask_values: tuple[int, ...]
    """The value of each class in the raw masks."""

    image_size: int
    turns_images: bool = False
    """Whether it turns images by their EXIF orientation; those that petseg exported at first do not."""

    class_colors: tuple[tuple[int, int, int], ...] = ()
    model: str = ""
    """The network's name."""

    parameters: int | None = None

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Reads the file's content.

        >>> ModelCard.parse(b'{"class_names": ["pet"], "mask_values": [1], "image_size": 128}').turns_images
        False

        Raises:
          ValueError: It is no card; the message, of one line, says why.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            said = (": ".join([*map(str, one["loc"]), one["msg"]]) for one in error.errors(include_url=False))
            raise ValueError("; ".join(said)) from error

    def is_for_the_classes_of(self, other: "ModelCard") -> bool:
        """Returns whether the masks of both models mean the same, and have one size."""
        names = ("class_names", "mask_values", "image_size")
        return all(getattr(self, name) == getattr(other, name) for name in names)
