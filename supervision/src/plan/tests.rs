//! Tables and properties of the restart decision.
