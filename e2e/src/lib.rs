//! What the application in the pods and the tests around it share.

pub mod ledger;
