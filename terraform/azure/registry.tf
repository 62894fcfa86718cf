# Images. No admin account and no anonymous pull: the cluster pulls with its own identity.
resource "azurerm_container_registry" "this" {
  name                   = var.global_name
  resource_group_name    = azurerm_resource_group.this.name
  location               = var.location
  sku                    = "Standard"
  admin_enabled          = false
  anonymous_pull_enabled = false
}
