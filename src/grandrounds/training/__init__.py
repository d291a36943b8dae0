"""The training loop and what belongs to it: schedule, augmentation, class weights; never the test role."""
