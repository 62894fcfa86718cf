# Run once, with local state: creates the storage account for the stack's state and its lock.
terraform {
  required_version = ">= 1.11"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = ">= 4.73, < 5"
    }
  }
}

variable "subscription_id" {
  description = "Azure subscription."
  type        = string
}

variable "location" {
  description = "Azure region."
  type        = string
  default     = "swedencentral"
}

variable "storage_account" {
  description = "Name of the storage account, globally unique in Azure: 3 to 24 lower-case letters and digits."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9]{3,24}$", var.storage_account))
    error_message = "Expected 3 to 24 lower-case letters and digits."
  }
}

variable "operators" {
  description = "Object ids of the users, groups and pipelines that may read and write the state."
  type        = set(string)
}

provider "azurerm" {
  subscription_id     = var.subscription_id
  storage_use_azuread = true
  features {}
}

resource "azurerm_resource_group" "state" {
  name     = "gatehouse-state"
  location = var.location
}

resource "azurerm_storage_account" "state" {
  name                            = var.storage_account
  resource_group_name             = azurerm_resource_group.state.name
  location                        = var.location
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  min_tls_version                 = "TLS1_2"
  shared_access_key_enabled       = false
  allow_nested_items_to_be_public = false

  blob_properties {
    versioning_enabled = true
    delete_retention_policy {
      days = 30
    }
  }
  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_storage_container" "state" {
  name               = "tfstate"
  storage_account_id = azurerm_storage_account.state.id
}

resource "azurerm_role_assignment" "operators" {
  for_each             = var.operators
  scope                = azurerm_storage_account.state.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = each.key
}

output "storage_account" {
  description = "terraform -chdir=.. init -backend-config=storage_account_name=…"
  value       = azurerm_storage_account.state.name
}
