"""Programs for those who work on Penstock: set-up, packages, images, the demonstration. Nothing of the product imports them."""
