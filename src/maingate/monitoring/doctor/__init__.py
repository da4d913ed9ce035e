"""The checks of `maingate doctor`: the machine, the programs that plans name, and leftovers of the dead."""
