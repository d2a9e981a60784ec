"""Training: recipe, data, augmentation, losses and the loop that ties them."""
