//! The guides, run as they stand: every command, in order, in one shell, with what they say the command prints.

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
            _ => match (line.strip_prefix("$ "), line.strip_prefix("> ")) {
                (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
                // As the shell asks for the rest of a command.
                (None, Some(rest)) => {
                    let step = steps.last_mut().filter(|step| step.expected.is_empty()).expect("a command comes first");
                    step.command.push('\n');
                    step.command.push_str(rest);
                }
                (None, None) => steps.last_mut().expect("a command comes first").expected.push(line.to_owned()),
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

async fn check(cluster: &Cluster, steps: &[Step]) {
    let outputs = run(cluster, steps).await;
    for (Step { command, expected }, output) in steps.iter().zip(outputs) {
        // Lists stand in the order of keys, which are random here.
        for expected in expected {
            assert!(
                output.lines().any(|line| matches(line, expected)),
                "`{command}` should print `{expected}`:\n{output}"
            );
        }
    }
}

fn guide(name: &str) -> String {
    let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_governance_guide_does_what_it_says() {
    let port = free_ports(2).unwrap();
    let guide = guide("governance-guide.md");
    assert!(guide.contains("PORT=7459"));
    let steps = steps(&guide.replace("PORT=7459", &format!("PORT={port}")));
    assert!(steps.len() > 60, "the guide has {} commands", steps.len());
    let cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await.unwrap();
    check(&cluster, &steps).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_guide_does_what_it_says() {
    let steps = steps(&guide("documents-guide.md"));
    assert!(steps.len() > 60, "the guide has {} commands", steps.len());
    let options = Options { accounts: 4, idle_interval_ms: 2_000, ..Options::default() };
    let cluster = Cluster::start(options).await.unwrap();
    check(&cluster, &steps).await;
}
