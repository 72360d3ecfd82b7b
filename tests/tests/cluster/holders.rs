//! Holders that are away, lose their disk, lie or are slow: whatever they do, every entitled member has every document afterwards
//! and reads in it what was submitted. The measurement `holders` does the same with more documents.

use vouch_tests::bench::holders::Holders;

/// Documents of each case.
const DOCUMENTS: u64 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn every_entitled_member_has_every_document_whatever_the_holders_do() {
    let mut holders = Holders::open().await.unwrap();
    let (outcomes, misread) = holders.all(DOCUMENTS).await.unwrap();
    let cases: Vec<&str> = outcomes.iter().map(|outcome| outcome.case).collect();
    assert_eq!(cases, ["offline", "wiped", "lying", "slow"]);
    for outcome in outcomes {
        assert_eq!((outcome.documents as u64, outcome.misread), (DOCUMENTS, 0), "{outcome:?}");
    }
    assert_eq!(misread, 0);
}
