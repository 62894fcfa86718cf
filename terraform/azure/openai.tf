# The model: no keys by default, no public address.
resource "azurerm_cognitive_account" "openai" {
  name                          = "${var.global_name}-openai"
  resource_group_name           = azurerm_resource_group.this.name
  location                      = var.location
  kind                          = "OpenAI"
  sku_name                      = "S0"
  custom_subdomain_name         = "${var.global_name}-openai"
  local_auth_enabled            = var.openai_keys
  public_network_access_enabled = false
}

resource "azurerm_cognitive_deployment" "model" {
  name                 = var.model.name
  cognitive_account_id = azurerm_cognitive_account.openai.id
  model {
    format  = "OpenAI"
    name    = var.model.name
    version = var.model.version
  }
  sku {
    name     = var.model.sku
    capacity = var.model.capacity
  }
}
