"""`segue-export`: which model becomes a bundle."""
