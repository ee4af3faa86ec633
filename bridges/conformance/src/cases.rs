//! Every case, in the order in which it is listed.

mod delivering;
mod leaving;
mod limits;
mod lost;
mod outage;
mod requests;
mod settling;
mod streams;
mod unheard;

use crate::case::Case;

/// Every case of the suite.
pub(crate) fn all() -> Vec<Case> {
    [
        delivering::CASES,
        unheard::CASES,
        limits::CASES,
        leaving::CASES,
        settling::CASES,
        lost::CASES,
        outage::CASES,
        requests::CASES,
        streams::CASES,
    ]
    .concat()
}
