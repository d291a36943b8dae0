"""Networks that timm, torchvision and MONAI do not have; one file each."""
