//! What was spent, on disk: it survives the end of the program, a crash included.
