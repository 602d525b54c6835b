//! The general corpus: everyday sentences, questions with answers, and some plain talk of offices and machines. It
//! says nothing about Lockstep's gates, which is what fine-tuning is to teach.

use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use crate::words::{capital, one};

const PEOPLE: [&str; 24] = [
    "baker",
    "sailor",
    "teacher",
    "farmer",
    "doctor",
    "painter",
    "driver",
    "clerk",
    "engineer",
    "pilot",
    "gardener",
    "auditor",
    "reviewer",
    "librarian",
    "judge",
    "miller",
    "guard",
    "manager",
    "writer",
    "nurse",
    "captain",
    "student",
    "operator",
    "merchant",
];
const THINGS: [&str; 40] = [
    "letter",
    "loaf",
    "boat",
    "book",
    "apple",
    "lamp",
    "ticket",
    "image",
    "model",
    "file",
    "package",
    "request",
    "report",
    "record",
    "machine",
    "garden",
    "bridge",
    "gate",
    "basket",
    "window",
    "engine",
    "map",
    "answer",
    "path",
    "folder",
    "number",
    "policy",
    "list",
    "row",
    "alarm",
    "job",
    "link",
    "digest",
    "manifest",
    "endpoint",
    "metric",
    "threshold",
    "revision",
    "source",
    "finding",
];
const QUALITIES: [&str; 26] = [
    "old", "new", "small", "large", "quiet", "heavy", "bright", "broken", "empty", "green", "cold", "clean",
    "missing", "critical", "listed", "wrong", "slow", "early", "signed", "open", "loose", "absent", "longer",
    "whole", "safe", "newer",
];
const DOES: [(&str, &str, &str); 26] = [
    ("carry", "carries", "carried"),
    ("open", "opens", "opened"),
    ("close", "closes", "closed"),
    ("check", "checks", "checked"),
    ("copy", "copies", "copied"),
    ("read", "reads", "read"),
    ("write", "writes", "wrote"),
    ("measure", "measures", "measured"),
    ("compare", "compares", "compared"),
    ("download", "downloads", "downloaded"),
    ("verify", "verifies", "verified"),
    ("seal", "seals", "sealed"),
    ("approve", "approves", "approved"),
    ("reject", "rejects", "rejected"),
    ("train", "trains", "trained"),
    ("update", "updates", "updated"),
    ("register", "registers", "registered"),
    ("repair", "repairs", "repaired"),
    ("find", "finds", "found"),
    ("sell", "sells", "sold"),
    ("move", "moves", "moved"),
    ("clean", "cleans", "cleaned"),
    ("refuse", "refuses", "refused"),
    ("hide", "hides", "hid"),
    ("change", "changes", "changed"),
    ("deploy", "deploys", "deployed"),
];
const PLACES: [&str; 20] = [
    "in the garden",
    "at the harbor",
    "on the bridge",
    "in the office",
    "near the river",
    "in the library",
    "before noon",
    "after the storm",
    "in time",
    "during the night",
    "at the station",
    "with great care",
    "once again",
    "before the deployment",
    "during the download",
    "without a reason",
    "on the table",
    "in the workshop",
    "above the door",
    "for the run",
];
const REASONS: [&str; 22] = [
    "the road was closed",
    "the rain never stopped",
    "nobody answers the door",
    "the clock is too slow",
    "the engine is broken",
    "the price is too dear",
    "the letter does not exist",
    "the key does not match the lock",
    "a page is missing",
    "the number is not a number",
    "the bridge cannot be crossed",
    "the train crashes too often",
    "the shop denies credit",
    "the ship leaves the harbor",
    "a wheel is absent",
    "the water is above the wall",
    "an old wall hides the sun",
    "the plan changed during the night",
    "the work is stopped at noon",
    "the captain is also the cook",
    "the alarm rolls back to zero",
    "the evidence is malformed",
];
const NAMES: [&str; 14] = [
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Karla", "Leo", "Mia",
    "Noah",
];
const PARTS: [&str; 40] = [
    "Scan",
    "Model",
    "File",
    "Run",
    "Image",
    "Train",
    "Training",
    "Seal",
    "Size",
    "Policy",
    "Source",
    "Digest",
    "Metrics",
    "Evidence",
    "Approval",
    "Approver",
    "Deploy",
    "Deployment",
    "Request",
    "Cost",
    "Access",
    "Gate",
    "Judge",
    "Content",
    "Blocked",
    "Changed",
    "Invalid",
    "Failed",
    "Stopped",
    "Mismatch",
    "Rejected",
    "Expired",
    "Allowed",
    "Not",
    "Found",
    "Incomplete",
    "Register",
    "Evaluate",
    "Threshold",
    "Recheck",
];
const VERBS: [&str; 14] = [
    "read", "seal", "scan", "launch", "update", "run", "approve", "download", "deploy", "evaluate", "admit",
    "judge", "resolve", "check",
];
const NOUNS: [&str; 18] = [
    "file", "door", "page", "training", "record", "report", "package", "map", "endpoint", "model",
    "artifact", "guest", "gate", "race", "run", "garden", "river", "storm",
];

/// A made-up name such as `ScanPolicy` or `SealRunFile`.
fn compound(random: &mut ChaCha8Rng) -> String {
    let length = random.random_range(1..=3);
    (0..length).map(|_| one(random, &PARTS)).collect()
}

/// A made-up name such as `seal-door` or `river-lm`.
fn hyphenated(random: &mut ChaCha8Rng) -> String {
    if random.random() {
        format!("{}-{}", one(random, &VERBS), one(random, &NOUNS))
    } else {
        format!("{}-lm", one(random, &NOUNS))
    }
}

/// Documents of one to three sentences or exchanges.
pub(crate) fn documents(random: &mut ChaCha8Rng, count: usize) -> Vec<String> {
    (0..count)
        .map(|_| {
            let length = random.random_range(1..=2);
            (0..length).map(|_| passage(random)).collect::<Vec<_>>().join(if random.random() {
                " "
            } else {
                "\n"
            })
        })
        .collect()
}

fn passage(random: &mut ChaCha8Rng) -> String {
    let (who, other) = (one(random, &PEOPLE), one(random, &PEOPLE));
    let (thing, another) = (one(random, &THINGS), one(random, &THINGS));
    let (quality, place, reason) = (one(random, &QUALITIES), one(random, &PLACES), one(random, &REASONS));
    let name = one(random, &NAMES);
    let (base, present, past) = DOES[random.random_range(0..DOES.len())];
    let (_, also, _) = DOES[random.random_range(0..DOES.len())];
    let number = random.random_range(2..100);
    let (compound, second, hyphenated) = (compound(random), compound(random), hyphenated(random));
    match random.random_range(0..28) {
        0 => format!("The {quality} {thing} was {past} by the {who} {place}."),
        1 => format!("{name} {present} the {thing} and the {other} {also} the {another}."),
        2 => format!("Q: What does the {who} do?\nA: The {who} {present} the {quality} {thing}."),
        3 => format!("Q: Who {present} the {thing}?\nA: {name} {present} the {thing}."),
        4 => format!("Q: Which {thing} does {name} {base}?\nA: {name} {present} the {quality} {thing}."),
        5 => format!("Q: Why did the {who} refuse the {thing}?\nA: Because {reason}."),
        6 => format!("Q: When does the {who} {base} the {thing}?\nA: {}.", capital(place)),
        7 => format!("There were {number} of them {place}, and the {who} {past} every {thing}."),
        8 => {
            format!("{} {who} {present} a {thing} when {reason}.", one(random, &["A", "The", "No", "Every"]))
        }
        9 => format!("{name} wrote to {}: the {thing} is {quality}, since {reason}.", one(random, &NAMES)),
        10 => format!("Page {number} of {hyphenated}: the {who} {past} it because {reason}."),
        11 => format!("If {reason}, the {who} {present} the {thing} {place}."),
        12 => format!(
            "Q: What happens to the {who} when {reason}?\nA: The {who} {present} the {thing} {place}."
        ),
        13 => format!("The {thing} ends {place}. {} {also} it again.", capital(who)),
        14 => format!("Q: What is {compound}?\nA: It is the name of a {quality} {thing}."),
        15 => format!("{compound} is what the {who} calls the {thing} that {present} {place}."),
        16 => format!("Q: Which word names the {quality} {thing}?\nA: {compound}, says the {who}."),
        17 => format!("The function {hyphenated} {present} the {thing} and {compound} {also} the {another}."),
        18 => format!("The {who} says that {hyphenated} ended in {compound}, raised by {second}."),
        19 => format!(
            "Q: Which function {present} the {thing}?\nA: The function {hyphenated} {present} the {thing}."
        ),
        20 => format!(
            "Q: What does {compound} mean?\nA: It means that {reason}. {second} {present} the {thing}."
        ),
        21 => format!("{compound} refuses the {thing} with {second} because {reason}."),
        22 => format!("Run of {hyphenated}: {compound} passed. The {who} {present} the {another}."),
        23 => format!(
            "Q: Why did {hyphenated} end {place}?\nA: Because {reason}. {compound} refused the {thing}."
        ),
        24 => format!("Q: Which error ends a {thing} when {reason}?\nA: {compound}, raised by {second}."),
        25 => format!(
            "Q: What does {compound} do for {hyphenated}?\nA: {compound} {present} the {quality} {thing}."
        ),
        26 => format!("Q: Which gate {present} the {quality} {thing}?\nA: {compound} {present} the {thing}."),
        _ => {
            format!("{name} is asked to {base} the {quality} {thing} while the {who} waits for a {another}.")
        }
    }
}
