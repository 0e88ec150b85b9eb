//! How many pods copy which part of their requests.

use mynah_core::Ratio;

use crate::manifest::Kind;
use crate::refusal::Refusal;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Pods in the workload beside.
    pub pods: Option<u32>,
    /// Copies per request in the pods that mirror.
    pub ratio: Option<Ratio>,
    /// The share of all requests that is copied.
    pub share: Option<Ratio>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Pods in the workload beside.
    pub(crate) pods: u32,
    pub(crate) ratio: Ratio,
    /// How the share comes about, for people.
    pub(crate) how: String,
}

/// Mynah in every pod: the ratio is the share.
pub(crate) fn in_place(amount: &Amount, object: &str) -> Result<Decision, Refusal> {
    if amount.pods.is_some() {
        return Err(Refusal::new(
            object,
            "--in-place puts Mynah into every pod, so --pods has nothing to choose",
            "use --ratio or --share, or --beside for a few pods of their own",
        ));
    }
    let ratio = amount.share.or(amount.ratio).unwrap_or(Ratio::ONE);
    let how = format!("every pod mirrors, ratio {ratio}: {ratio} of all requests are copied");
    Ok(Decision { pods: 0, ratio, how })
}

/// Mynah in pods beside `replicas` plain ones.
pub(crate) fn beside(amount: &Amount, kind: Kind, replicas: u32, object: &str) -> Result<Decision, Refusal> {
    if kind != Kind::Deployment {
        return Err(Refusal::new(
            object,
            format!(
                "a second {} beside the first would have pods of its own identity or node",
                kind.name()
            ),
            "use --in-place, with --ratio for the share",
        ));
    }
    let (pods, ratio) = match amount.share {
        None => (amount.pods.unwrap_or(1), amount.ratio.unwrap_or(Ratio::ONE)),
        Some(share) => exact(share, amount.pods, replicas, object)?,
    };
    if pods == 0 {
        return Err(Refusal::new(object, "--pods 0 mirrors nothing", "use --pods 1 or more"));
    }
    let all = replicas + pods;
    let units = u64::from(ratio.units()) * u64::from(pods);
    let total = Ratio::from_units((units / u64::from(all)) as u32).unwrap_or(ratio);
    let about = if units.is_multiple_of(u64::from(all)) {
        "="
    } else {
        "≈"
    };
    let how = format!(
        "{pods} of {all} pods mirror, ratio {ratio}: {pods}/{all} × {ratio} {about} {total} of all requests are copied"
    );
    Ok(Decision { pods, ratio, how })
}

/// The fewest pods whose ratio, at most 100 %, makes the share exactly.
fn exact(share: Ratio, pods: Option<u32>, replicas: u32, object: &str) -> Result<(u32, Ratio), Refusal> {
    let ratio_of = |pods: u32| {
        let units = u64::from(share.units()) * u64::from(replicas + pods);
        let whole = units.is_multiple_of(u64::from(pods)).then(|| units / u64::from(pods))?;
        Ratio::from_units(u32::try_from(whole).ok()?).filter(|ratio| *ratio <= Ratio::ONE)
    };
    let most = replicas.max(1);
    match pods {
        Some(0) => Err(Refusal::new(object, "--pods 0 mirrors nothing", "use --pods 1 or more")),
        Some(pods) => ratio_of(pods).map(|ratio| (pods, ratio)).ok_or_else(|| {
            Refusal::new(
                object,
                format!(
                    "{pods} of {} pods cannot copy exactly {share} of all requests",
                    replicas + pods
                ),
                "leave out --pods to have it chosen, or use --ratio instead of --share",
            )
        }),
        None => (1..=most)
            .find_map(|pods| Some((pods, ratio_of(pods)?)))
            .ok_or_else(|| {
                Refusal::new(
                    object,
                    format!("{share} of all requests would need more than {most} pods beside {replicas}"),
                    format!("use --in-place --ratio {share}, or say --pods"),
                )
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(share: &str, pods: Option<u32>, replicas: u32) -> Result<(u32, String), String> {
        let amount = Amount {
            share: Some(share.parse().unwrap()),
            pods,
            ratio: None,
        };
        beside(&amount, Kind::Deployment, replicas, "deployment/a")
            .map(|decision| (decision.pods, decision.ratio.to_string()))
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_share_is_met_exactly_by_the_fewest_pods() {
        assert_eq!(share("10%", None, 3).unwrap(), (1, "40%".to_owned()));
        assert_eq!(share("25%", None, 3).unwrap(), (1, "100%".to_owned()));
        assert_eq!(share("30%", None, 3).unwrap(), (2, "75%".to_owned()));
        assert_eq!(share("0.0001%", None, 2).unwrap(), (1, "0.0003%".to_owned()));
        assert_eq!(share("10%", Some(2), 3).unwrap(), (2, "25%".to_owned()));
        assert!(share("75%", None, 3).unwrap_err().contains("more than 3 pods"));
        assert!(share("10%", Some(0), 3).unwrap_err().contains("--pods 0"));
    }

    #[test]
    fn a_share_that_the_steps_of_the_ratio_cannot_make_is_not_rounded() {
        // 0.0001 % × 5 / 3 is no multiple of 0.0001 %.
        assert!(share("0.0001%", Some(3), 2).is_err());
    }

    #[test]
    fn it_says_how_the_share_comes_about() {
        let amount = Amount::default();
        let decision = beside(&amount, Kind::Deployment, 3, "a").unwrap();
        assert_eq!(
            decision.how,
            "1 of 4 pods mirror, ratio 100%: 1/4 × 100% = 25% of all requests are copied"
        );
        let third = beside(&amount, Kind::Deployment, 2, "a").unwrap();
        assert!(third.how.contains("≈ 33.3333%"), "{}", third.how);
        assert!(
            beside(&amount, Kind::StatefulSet, 2, "a")
                .unwrap_err()
                .remedy
                .contains("--in-place")
        );
    }
}
