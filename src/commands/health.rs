//! `thidua health`: asks a running service whether it is ready, for containers that have no other program.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::error::Error;

/// Whom to ask.
#[derive(Args)]
pub struct HealthArgs {
    /// Address and port of the service.
    #[arg(long, env = "THIDUA_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
}

/// Succeeds if `/readyz` answers 200 within three seconds.
pub async fn run(args: &HealthArgs) -> Result<ExitCode, Error> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).no_proxy().build();
    let answer = client.map_err(Error::internal)?.get(url(&args.listen)).send().await.map_err(Error::internal)?;
    let status = answer.status();
    super::say(format_args!("{status} {}", answer.text().await.map_err(Error::internal)?))?;
    Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A service that listens everywhere is asked on the loopback interface.
fn url(listen: &str) -> String {
    let here = listen.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:");
    format!("http://{here}/readyz")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_service_that_listens_everywhere_is_asked_here() {
        assert_eq!(super::url("0.0.0.0:8080"), "http://127.0.0.1:8080/readyz");
        assert_eq!(super::url("[::]:80"), "http://[::1]:80/readyz");
        assert_eq!(super::url("10.0.0.7:80"), "http://10.0.0.7:80/readyz");
    }
}
