"""How much the other columns tell about each sensitive column, alone and together."""
