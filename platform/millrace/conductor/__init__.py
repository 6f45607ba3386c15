"""The state machine that takes a data set from upload to reports, with the person in the loop."""
