//! Starts the local account, deploys to it unless told `--bare`, and stays until Ctrl-C.
#![allow(clippy::print_stdout, reason = "printing where the account is, is what this program is for")]

use std::path::Path;
use std::time::Instant;

use local::{Account, Faults, Options, Profile, Progress};

struct Printed(Instant);

impl Progress for Printed {
    fn phase(&self, name: &str) {
        println!("{:7.1} == {name}", self.0.elapsed().as_secs_f32());
    }

    fn line(&self, text: &str) {
        println!("{:7.1}    {text}", self.0.elapsed().as_secs_f32());
    }
}

#[tokio::main]
async fn main() -> Result<(), local::Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned();
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    let profile = if given("--release") { Profile::Release } else { Profile::Debug };
    let progress = Printed(Instant::now());
    let account =
        Account::start(Options { root, profile, faults: Faults::default(), var_file: None }, &progress)
            .await?;
    let work = async {
        if !given("--bare") {
            let outputs = account.apply(&progress).await?;
            println!("{outputs:#?}\n{:?}", account.timings());
        }
        println!("{:#?}\nCtrl-C ends it", account.connection());
        Ok::<_, local::Error>(local::stop::asked().await)
    };
    let result = tokio::select! {
        result = work => result,
        status = local::stop::asked() => Ok(status),
    };
    match result {
        Ok(_) => account.shutdown().await,
        Err(problem) => {
            println!("the logs are in {}", account.shutdown_keeping_logs().await.display());
            return Err(problem);
        }
    }
    Ok(())
}
