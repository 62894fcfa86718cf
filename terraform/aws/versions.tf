terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.60"
    }
  }
  # The bucket created by bootstrap/: terraform init -backend-config=bucket=NAME -backend-config=region=REGION
  backend "s3" {
    key          = "gatehouse.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { application = "gatehouse", installation = var.name }
  }
}
