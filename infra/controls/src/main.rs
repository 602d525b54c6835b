//! `controls`: judges a Terraform plan by the rules in `infra/controls/rules`.
#![allow(clippy::print_stdout, reason = "it is a command: what it finds is its output")]

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use comfy_table::{Cell, ContentArrangement, Table};
use controls::{Error, Exceptions, Options, Plan, Report, controls, evaluate, read_backends};

/// The plan is denied.
const DENIED: u8 = 1;

/// The plan cannot be judged.
const UNUSABLE: u8 = 2;

/// Judge a Terraform plan by the rules in infra/controls/rules.
#[derive(Debug, Parser)]
#[command(
    name = "controls",
    version,
    about,
    after_help = "Examples:
  terraform plan -out plan.out && terraform show -json plan.out > plan.json
  controls plan.json --backends infra/environments
  controls plan.json --allow-unknown          # before the first apply
  controls plan.json --allow-destroy 'module.audit[0].aws_cloudtrail.this'
  controls --list

Exit codes: 0 nothing is denied, 1 something is, 2 the plan cannot be judged."
)]
struct Cli {
    /// The plan, as `terraform show -json` writes it.
    #[arg(value_name = "PLAN.json", required_unless_present = "list")]
    plan: Option<PathBuf>,

    /// Judge where the environments in this folder keep their state, too: a plan does not say.
    #[arg(long, value_name = "DIR")]
    backends: Option<PathBuf>,

    /// Where controls do not hold, and why.
    #[arg(long, value_name = "FILE")]
    exceptions: Option<PathBuf>,

    /// Let this protected resource be destroyed. May be given again.
    #[arg(long, value_name = "ADDRESS")]
    allow_destroy: Vec<String>,

    /// List policies that are not known until they are applied, and do not deny them. Check the plan after the apply, too.
    #[arg(long)]
    allow_unknown: bool,

    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,

    /// List the controls, and judge nothing.
    #[arg(long, conflicts_with = "plan")]
    list: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(UNUSABLE)
        }
    }
}

fn run(cli: &Cli) -> Result<u8, Error> {
    let Some(plan) = &cli.plan else {
        list()?;
        return Ok(0);
    };
    let exceptions = match &cli.exceptions {
        Some(path) => Exceptions::read(path, &controls()?)?,
        None => Exceptions::default(),
    };
    let backends = cli.backends.as_deref().map(read_backends).transpose()?;
    let report = evaluate(
        &Plan::read(plan)?,
        &Options {
            exceptions: &exceptions,
            allow_destroy: &cli.allow_destroy,
            backends: backends.as_deref(),
            allow_unknown: cli.allow_unknown,
            today: jiff::Zoned::now().date(),
        },
    )?;
    if cli.json {
        println!("{:#}", serde_json::json!(report));
    } else {
        print(&report);
    }
    Ok(if report.denied.is_empty() { 0 } else { DENIED })
}

fn list() -> Result<(), Error> {
    let mut table = table(&["control", "severity", "what holds", "standards"]);
    for control in controls()? {
        table.add_row([
            &control.id,
            &format!("{:?}", control.severity).to_lowercase(),
            &control.title,
            &control.standards(),
        ]);
    }
    println!("{table}");
    Ok(())
}

fn print(report: &Report) {
    if !report.denied.is_empty() {
        let mut table = table(&["control", "address", "what is wrong", "remedy", "standards"]);
        for violation in &report.denied {
            table.add_row([
                Cell::new(&violation.control),
                Cell::new(&violation.address),
                Cell::new(&violation.message),
                Cell::new(&violation.remedy),
                Cell::new(&violation.standards),
            ]);
        }
        println!("{table}\n");
    }
    for violation in &report.unjudged {
        println!("not judged: {}: {}", violation.address, violation.message);
    }
    for excepted in &report.excepted {
        println!(
            "excepted: {} at {}: {}",
            excepted.violation.control, excepted.violation.address, excepted.reason
        );
    }
    for unused in &report.unused {
        println!("unused exception: {unused}");
    }
    for skipped in &report.skipped {
        println!("NOT CHECKED: {skipped}, which needs --backends");
    }
    println!(
        "{} denied, {} excepted, {} not judged",
        report.denied.len(),
        report.excepted.len(),
        report.unjudged.len()
    );
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table
}
