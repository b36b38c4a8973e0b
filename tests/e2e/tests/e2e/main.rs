//! The whole system on a real cluster. Those marked `ignore` take away what others use, the operator, a node or
//! Prometheus, and run by themselves.

mod helm;
mod lifecycle;
mod play;
mod scaling;
mod several;
