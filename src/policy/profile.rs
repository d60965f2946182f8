//! Profiles: named sets of values, beneath a file's own keys.

use std::time::Duration;

use super::value::Value;

/// How patient the clocks of inference are, by the class of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// Heartbeat and progress of inference.
    pub inference: Duration,
}

/// All profiles, from the least patient.
pub const PROFILES: &[Profile] = &[
    Profile { name: "high-end", inference: Duration::from_secs(600) },
    Profile { name: "mid-range", inference: Duration::from_secs(900) },
    Profile { name: "low-end", inference: Duration::from_secs(1200) },
];

impl Profile {
    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<&'static Self> {
        PROFILES.iter().find(|profile| profile.name == name)
    }

    /// The keys that it sets.
    pub fn values(&self) -> [(&'static str, Value); 1] {
        [("inference_step_timeout", Value::Duration(self.inference))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn a_profile_sets_both_clocks_of_inference_and_holds_together() {
        for profile in PROFILES {
            let mut policy = Policy::default();
            for (key, value) in profile.values() {
                policy.set(key, value).unwrap();
            }
            assert_eq!((policy.heartbeat_timeout, policy.progress_timeout), (profile.inference, profile.inference));
            assert_eq!(policy.validate(), Ok(()), "{} is a policy", profile.name);
            assert_eq!(Profile::from_name(profile.name), Some(profile));
        }
        assert_eq!(Profile::from_name("middling"), None);
    }

    #[test]
    fn the_documented_profiles_are_the_profiles() {
        let documented = include_str!("../../docs/policy.md");
        for profile in PROFILES {
            let row = format!("| `{}` | {} |\n", profile.name, Value::Duration(profile.inference));
            assert!(documented.contains(&row), "docs/policy.md lacks: {row}");
        }
    }
}
