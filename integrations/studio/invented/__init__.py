"""What stands in for values that are not given: nobody has them."""
