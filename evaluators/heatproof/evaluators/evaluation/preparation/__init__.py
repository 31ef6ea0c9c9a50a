"""What is made of an image before any model is asked, beside the passes of the images before it."""
