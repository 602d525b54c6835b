//! Between ECR and the gate.

use aws_sdk_ecr::{
    Client,
    operation::describe_image_scan_findings::DescribeImageScanFindingsError,
    types::{ImageIdentifier, ImageScanFindings},
};
use contract::ResolvedImage;
use jiff::Timestamp;
use runtime::failed;

use crate::{
    error::ScanError,
    policy::{Finding, Scan, ScanStatus, severity},
};

fn identifier(image: &ResolvedImage) -> ImageIdentifier {
    // By digest always: a tag can move between two calls.
    ImageIdentifier::builder().image_digest(&image.digest).build()
}

/// Reads a scan, every page of it.
///
/// # Errors
/// `ServiceUnavailable`, or `ScanUnsupported` when the image is gone.
pub async fn read_scan(ecr: &Client, image: &ResolvedImage) -> Result<Scan, ScanError> {
    let mut scan = Scan {
        status: ScanStatus::Absent,
        said: "that it was never scanned".to_owned(),
        completed_at: None,
        findings: Vec::new(),
        counted: 0,
    };
    let mut token = None;
    loop {
        let page = ecr
            .describe_image_scan_findings()
            .registry_id(&image.registry_id)
            .repository_name(&image.repository)
            .image_id(identifier(image))
            .set_next_token(token.take())
            .send()
            .await;
        let page = match page {
            Ok(page) => page,
            Err(error) => match error.as_service_error() {
                Some(DescribeImageScanFindingsError::ScanNotFoundException(_)) => return Ok(scan),
                Some(DescribeImageScanFindingsError::ImageNotFoundException(_)) => {
                    let reason = "the repository no longer has it".to_owned();
                    return Err(ScanError::Unsupported { image: image.digest.clone(), reason });
                }
                _ => return Err(failed("ecr:DescribeImageScanFindings")(error).into()),
            },
        };
        if let Some(status) = page.image_scan_status() {
            let said = status.status().map(|status| status.as_str().to_owned()).unwrap_or_default();
            scan.status = ScanStatus::parse(&said);
            scan.said = match status.description() {
                Some(why) => format!("{said} ({why})"),
                None => said,
            };
        }
        if let Some(findings) = page.image_scan_findings() {
            take(&mut scan, findings);
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(scan);
        }
    }
}

fn take(scan: &mut Scan, page: &ImageScanFindings) {
    scan.completed_at = page
        .image_scan_completed_at()
        .and_then(|at| Timestamp::from_second(at.secs()).ok())
        .or(scan.completed_at);
    let counts = page.finding_severity_counts().map(|counts| counts.values().sum::<i32>()).unwrap_or(0);
    scan.counted = scan.counted.max(usize::try_from(counts).unwrap_or(0));
    for finding in page.findings() {
        scan.findings.push(Finding {
            id: finding.name().unwrap_or("unnamed").to_owned(),
            severity: severity(finding.severity().map(|severity| severity.as_str()).unwrap_or("UNDEFINED")),
        });
    }
    for finding in page.enhanced_findings() {
        let id = finding
            .package_vulnerability_details()
            .and_then(|details| details.vulnerability_id())
            .or(finding.finding_arn());
        scan.findings.push(Finding {
            id: id.unwrap_or("unnamed").to_owned(),
            severity: severity(finding.severity().unwrap_or("UNDEFINED")),
        });
    }
}

/// Starts a basic scan. One in 24 hours is allowed; that one was started already is no failure.
///
/// # Errors
/// `ScanUnsupported` when ECR cannot scan it.
pub async fn start_scan(ecr: &Client, image: &ResolvedImage) -> Result<(), ScanError> {
    let sent = ecr
        .start_image_scan()
        .registry_id(&image.registry_id)
        .repository_name(&image.repository)
        .image_id(identifier(image))
        .send()
        .await;
    let Err(error) = sent else { return Ok(()) };
    match error.as_service_error() {
        Some(service) if service.is_limit_exceeded_exception() => Ok(()),
        Some(service) if service.is_unsupported_image_type_exception() => {
            let reason = service.meta().message().unwrap_or("its type is not supported").to_owned();
            Err(ScanError::Unsupported { image: image.digest.clone(), reason })
        }
        // Under enhanced scanning ECR scans by itself and refuses to be told to.
        Some(service) if service.is_validation_exception() => Ok(()),
        _ => Err(failed("ecr:StartImageScan")(error).into()),
    }
}
