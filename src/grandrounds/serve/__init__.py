"""What ships: a bundle of weights, preparation and classes, and how it is applied to new images."""
