//! The governance guide, run as it stands: every command, in order, in one shell, with what it says the command prints.

use std::{fmt::Write as _, process::Stdio, time::Duration};

use vouch_tests::cluster::{Cluster, Options, free_ports};

/// For all commands of the guide together.
const PATIENCE: Duration = Duration::from_secs(300);

/// A command with the lines that the guide shows of its output.
struct Step {
    command: String,
    expected: Vec<String>,
}

fn steps(guide: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in guide.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
                None => steps.last_mut().expect("a command comes first").expected.push(line.to_owned()),
            },
        }
    }
    steps
}

/// Whether a line has the parts between the dots in order; how many spaces stand between words does not matter.
fn matches(line: &str, expected: &str) -> bool {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = words(line);
    let mut rest = line.as_str();
    words(expected).split('…').map(str::trim).all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// What each command printed: errors among it, as in a terminal.
async fn run(cluster: &Cluster, steps: &[Step]) -> Vec<String> {
    let mut script = "set -uo pipefail\nexec 2>&1\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n".to_owned();
    for (index, step) in steps.iter().enumerate() {
        let Step { command, .. } = step;
        // What fails without the guide saying so ends the run; what runs on in the background does not hold the shell.
        writeln!(script, "{command}\nSTATUS=$?; printf '\\n@@ {index} %s\\n' $STATUS; [ $STATUS = 0 ] || exit 1")
            .unwrap();
    }
    let program = &cluster.program;
    let path = format!("{}:{}", program.folder().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = tokio::process::Command::new("bash");
    shell.arg("-c").arg(&script).current_dir(cluster.dir()).stdin(Stdio::null()).kill_on_drop(true);
    shell.env("PATH", path).env("CONTRACTS", &program.contracts).env("LANG", "C.UTF-8");
    for name in ["NODE", "HOME", "CA", "CHAIN", "LANG", "KEY", "PASSWORD_FD"] {
        shell.env_remove(format!("VOUCH_{name}"));
    }
    let output = tokio::time::timeout(PATIENCE, shell.output()).await.expect("the guide's commands end").unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut outputs = Vec::new();
    let mut lines = String::new();
    for line in text.lines() {
        match line.strip_prefix("@@ ") {
            None => writeln!(lines, "{line}").unwrap(),
            Some(end) => {
                let command = &steps[outputs.len()].command;
                assert!(end.ends_with(" 0"), "`{command}` failed:\n{lines}");
                outputs.push(std::mem::take(&mut lines));
            }
        }
    }
    assert_eq!(outputs.len(), steps.len(), "the shell ended early:\n{lines}");
    outputs
}

#[tokio::test(flavor = "multi_thread")]
async fn the_governance_guide_does_what_it_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/governance-guide.md");
    let port = free_ports(2).unwrap();
    let guide = std::fs::read_to_string(path).unwrap();
    assert!(guide.contains("PORT=7459"));
    let steps = steps(&guide.replace("PORT=7459", &format!("PORT={port}")));
    assert!(steps.len() > 60, "the guide has {} commands", steps.len());
    let cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await.unwrap();
    let outputs = run(&cluster, &steps).await;
    for (Step { command, expected }, output) in steps.iter().zip(outputs) {
        let mut lines = output.lines();
        for expected in expected {
            assert!(lines.any(|line| matches(line, expected)), "`{command}` should print `{expected}`:\n{output}");
        }
    }
}
