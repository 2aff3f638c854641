"""The page of the server: one HTML file in the report's style that loads nothing but the server's own answers."""

from typing import Final

import jinja2

from pipeline.mask_images import OVERLAY_OPACITY, UNTINTED_CLASS
from pipeline.serving.limits import Limits
from pipeline.serving.loaded_model import LoadedModel
from pipeline.serving.sample_pictures import SAMPLES

_TEMPLATES: Final = jinja2.Environment(
    loader=jinja2.ChoiceLoader([jinja2.PackageLoader("pipeline.serving"), jinja2.PackageLoader("pipeline.report")]),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page_html(name: str, model: LoadedModel, limits: Limits) -> str:
    """Returns the page.

    Args:
      name: The model's, in the URLs.
      model: The version that is served now.
      limits: What the page makes a picture smaller for.
    """
    return _TEMPLATES.get_template("try.html").render(
        name=name,
        version=model.version,
        samples=SAMPLES,
        settings={
            "name": name,
            "untinted": UNTINTED_CLASS,
            "maxPixels": limits.max_pixels,
            "maxBytes": limits.max_request_bytes,
        },
        opacity=round(100 * OVERLAY_OPACITY),
    )
