# Every resource has one fault that the offline check must find.
terraform {
  required_providers {
    azurerm = {
      source = "hashicorp/azurerm"
    }
  }
}

resource "azurerm_user_assigned_identity" "missing_argument" { # expect: The argument "location" is required
  name                = "a"
  resource_group_name = "b"
}

resource "azurerm_container_registry" "unknown_argument" {
  name                = "a"
  resource_group_name = "b"
  location            = "c"
  sku                 = "Standard"
  admin               = false # expect: An argument named "admin" is not expected here
}

resource "azurerm_public_ip" "wrong_type" {
  name                = "a"
  resource_group_name = "b"
  location            = "c"
  allocation_method   = "Static"
  zones               = "1" # expect: Inappropriate value for attribute "zones": set of string required
}

resource "azurerm_manged_redis" "unknown_resource" {} # expect: The provider hashicorp/azurerm does not support resource type
