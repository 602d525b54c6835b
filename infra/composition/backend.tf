# Where the state is kept differs by account: `terraform init -backend-config=backend.hcl`, from backend.hcl.example.
terraform {
  backend "s3" {}
}
