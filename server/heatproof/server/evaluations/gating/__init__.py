"""What ended evaluations are judged by and held against."""
