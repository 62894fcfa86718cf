terraform {
  required_version = ">= 1.11"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.73, < 5"
    }
  }
  # The storage account created by bootstrap/: terraform init -backend-config=storage_account_name=NAME
  # Entra identities only: people use `az login`, pipelines OIDC with ARM_USE_OIDC=true.
  backend "azurerm" {
    container_name   = "tfstate"
    key              = "gatehouse.tfstate"
    use_azuread_auth = true
  }
}

provider "azurerm" {
  subscription_id     = var.subscription_id
  storage_use_azuread = true
  features {
    cognitive_account {
      # Otherwise a deleted OpenAI account reserves its name for 48 hours, and the next apply fails.
      purge_soft_delete_on_destroy = true
    }
    resource_group {
      # Remaining load balancer resources must be deleted first: docs/deployment.md, "Tearing down".
      prevent_deletion_if_contains_resources = true
    }
  }
}

data "azurerm_client_config" "current" {}
