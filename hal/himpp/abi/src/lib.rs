//! HiMPP's layouts, values and errors, generation by generation.

#![no_std]
