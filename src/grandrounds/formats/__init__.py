"""Image files in, `Image` out; one file per family of formats, sizes checked before anything is allocated."""

from grandrounds.formats.listing import Where, images_in
from grandrounds.formats.reading import names_image, read

__all__ = ["Where", "images_in", "names_image", "read"]
