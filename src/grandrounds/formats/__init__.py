"""Image files in, `Image` out; one file per family of formats, sizes checked before anything is allocated."""

from grandrounds.formats.below import files_below, is_left_behind, leads_nowhere
from grandrounds.formats.listing import Where, images_in
from grandrounds.formats.places import lying
from grandrounds.formats.reading import names_image, read
from grandrounds.formats.stack import Part, as_volume, n_slices, read_frames, read_stack

__all__ = [
    "Part",
    "Where",
    "as_volume",
    "files_below",
    "images_in",
    "is_left_behind",
    "leads_nowhere",
    "lying",
    "n_slices",
    "names_image",
    "read",
    "read_frames",
    "read_stack",
]
