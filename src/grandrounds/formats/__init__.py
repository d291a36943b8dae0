"""Image files in, `Image` out; one file per family of formats, sizes checked before anything is allocated."""

from grandrounds.formats.listing import Where, images_in
from grandrounds.formats.reading import names_image, read
from grandrounds.formats.stack import Part, n_slices, read_frames, read_stack

__all__ = ["Part", "Where", "images_in", "n_slices", "names_image", "read", "read_frames", "read_stack"]
