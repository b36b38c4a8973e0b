//! HTTP: the page, teams and history.
