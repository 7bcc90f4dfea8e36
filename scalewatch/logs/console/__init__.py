"""Lines that programs print while they train -> cells with names, whatever the program."""
