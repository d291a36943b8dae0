from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


@pytest.fixture
def write_dicom(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes stored values as a DICOM file; keywords become elements."""

    def write(stored: np.ndarray, name: str = "one.dcm", **elements: object) -> Path:
        dataset = pydicom.Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[name])
        dataset.Modality = "CT"
        dataset.PatientID = "SIM-0007"
        photometric = str(elements.pop("PhotometricInterpretation", "MONOCHROME2"))
        dataset.set_pixel_data(stored, photometric, stored.dtype.itemsize * 8, generate_instance_uid=False)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return write
