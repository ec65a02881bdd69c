//! Routes, wire types, problems, the page.
