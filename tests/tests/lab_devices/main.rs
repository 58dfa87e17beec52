//! The lab as a whole: a server whose jobs flash machines, virtual ones here, that really restart.

mod budget;
mod lab;
mod way;
