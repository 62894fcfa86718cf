# Every resource has one fault that the offline check must find.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

resource "aws_eks_cluster" "missing_argument" { # expect: The argument "role_arn" is required
  name = "a"
  vpc_config {
    subnet_ids = ["subnet-1"]
  }
}

resource "aws_ecr_repository" "unknown_argument" {
  name       = "a"
  mutability = "IMMUTABLE" # expect: An argument named "mutability" is not expected here
}

resource "aws_vpc" "wrong_type" {
  enable_dns_support = "perhaps" # expect: Inappropriate value for attribute "enable_dns_support": a bool is required
}

resource "aws_eks_clusters" "unknown_resource" {} # expect: The provider hashicorp/aws does not support resource type "aws_eks_clusters"

resource "aws_eks_node_group" "missing_block" { # expect: At least 1 "scaling_config" blocks are required
  cluster_name  = "a"
  node_role_arn = "b"
  subnet_ids    = ["c"]
}
