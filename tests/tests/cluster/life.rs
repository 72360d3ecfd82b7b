//! A transaction's and a contract's life through the command line.
